// Package rdma is RDMA verbs in pure Go: devices, protection domains, memory
// regions, completion queues and queue pairs that write into remote memory. It
// knows no workload and needs no library.
package rdma
