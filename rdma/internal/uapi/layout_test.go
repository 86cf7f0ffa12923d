package uapi

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// structs names the C struct of every Go type. A type that is missing here is
// not checked, so TestEveryStructIsCompared counts them.
var structs = map[string]any{
	"struct ib_uverbs_cmd_hdr":          CmdHdr{},
	"struct ib_uverbs_get_context":      GetContext{},
	"struct ib_uverbs_get_context_resp": GetContextResp{},
	"struct ib_uverbs_query_port":       QueryPort{},
	"struct ib_uverbs_query_port_resp":  QueryPortResp{},
	"struct ib_uverbs_alloc_pd":         AllocPD{},
	"struct ib_uverbs_alloc_pd_resp":    AllocPDResp{},
	"struct ib_uverbs_dealloc_pd":       DeallocPD{},
	"struct ib_uverbs_reg_mr":           RegMR{},
	"struct ib_uverbs_reg_mr_resp":      RegMRResp{},
	"struct ib_uverbs_dereg_mr":         DeregMR{},
	"struct ib_uverbs_create_cq":        CreateCQ{},
	"struct ib_uverbs_create_cq_resp":   CreateCQResp{},
	"struct ib_uverbs_destroy_cq":       DestroyCQ{},
	"struct ib_uverbs_destroy_cq_resp":  DestroyCQResp{},
	"struct ib_uverbs_create_qp":        CreateQP{},
	"struct ib_uverbs_create_qp_resp":   CreateQPResp{},
	"struct ib_uverbs_qp_dest":          QPDest{},
	"struct ib_uverbs_modify_qp":        ModifyQP{},
	"struct ib_uverbs_destroy_qp":       DestroyQP{},
	"struct ib_uverbs_destroy_qp_resp":  DestroyQPResp{},
	"struct ib_uverbs_post_send":        PostSend{},
	"struct ib_uverbs_post_send_resp":   PostSendResp{},
	"struct ib_uverbs_wc":               WC{},
	"struct ib_uverbs_async_event_desc": AsyncEventDesc{},
	"struct mminfo":                     MMInfo{},
	"struct rxe_create_cq_resp":         RxeCreateCQResp{},
	"struct rxe_create_qp_resp":         RxeCreateQPResp{},
	"struct rxe_queue_buf":              RxeQueueBuf{},
	"struct rxe_sge":                    RxeSGE{},
	"struct rxe_send_wr":                RxeSendWR{},
	"struct rxe_send_wqe":               RxeSendWQE{},
	"struct rxe_dma_info":               RxeDMAInfo{},
}

// values are the constants that stand in a uapi header.
var values = map[string]uint64{
	"IB_USER_VERBS_CMD_GET_CONTEXT":    CmdGetContext,
	"IB_USER_VERBS_CMD_QUERY_PORT":     CmdQueryPort,
	"IB_USER_VERBS_CMD_ALLOC_PD":       CmdAllocPD,
	"IB_USER_VERBS_CMD_DEALLOC_PD":     CmdDeallocPD,
	"IB_USER_VERBS_CMD_REG_MR":         CmdRegMR,
	"IB_USER_VERBS_CMD_DEREG_MR":       CmdDeregMR,
	"IB_USER_VERBS_CMD_CREATE_CQ":      CmdCreateCQ,
	"IB_USER_VERBS_CMD_DESTROY_CQ":     CmdDestroyCQ,
	"IB_USER_VERBS_CMD_CREATE_QP":      CmdCreateQP,
	"IB_USER_VERBS_CMD_MODIFY_QP":      CmdModifyQP,
	"IB_USER_VERBS_CMD_DESTROY_QP":     CmdDestroyQP,
	"IB_USER_VERBS_CMD_POST_SEND":      CmdPostSend,
	"IB_UVERBS_WR_RDMA_WRITE":          WROpRDMAWrite,
	"IB_UVERBS_WR_RDMA_READ":           WROpRDMARead,
	"sizeof(struct ib_uverbs_send_wr)": SizeofSendWR,
	"IB_UVERBS_ACCESS_LOCAL_WRITE":     AccessLocalWrite,
	"IB_UVERBS_ACCESS_REMOTE_WRITE":    AccessRemoteWrite,
	"IB_UVERBS_ACCESS_REMOTE_READ":     AccessRemoteRead,
	"IB_UVERBS_QPT_RC":                 QPTypeRC,
	"IB_UVERBS_QPT_UC":                 QPTypeUC,
}

const prologue = `#include <stddef.h>
#include <stdio.h>
#include <rdma/ib_user_verbs.h>
#include <rdma/ib_user_ioctl_verbs.h>
#include <rdma/rdma_user_rxe.h>
#define SHOW(expr) printf("%s = %llu\n", #expr, (unsigned long long)(expr))
int main(void) {
`

func TestLayoutMatchesKernelHeaders(t *testing.T) {
	want := map[string]uint64{}
	for c, v := range structs {
		typ := reflect.TypeOf(v)
		want["sizeof("+c+")"] = uint64(typ.Size())
		for i := range typ.NumField() {
			f := typ.Field(i)
			if f.Name == "_" {
				continue
			}
			name := f.Tag.Get("abi")
			if name == "" {
				t.Fatalf("%s.%s has no abi tag", typ.Name(), f.Name)
			}
			want[fmt.Sprintf("offsetof(%s, %s)", c, name)] = uint64(f.Offset)
			want[fmt.Sprintf("sizeof(((%s *)0)->%s)", c, name)] = uint64(f.Type.Size())
		}
	}
	for c, v := range values {
		want[c] = v
	}
	compareWithC(t, want)
}

// compareWithC has the C compiler evaluate every expression of want.
func compareWithC(t *testing.T, want map[string]uint64) {
	t.Helper()
	source := bytes.NewBufferString(prologue)
	for expr := range want {
		fmt.Fprintf(source, "SHOW(%s);\n", expr)
	}
	source.WriteString("return 0; }\n")
	dir := t.TempDir()
	file := filepath.Join(dir, "layout.c")
	if err := os.WriteFile(file, source.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "layout")
	out, err := exec.Command("cc", "-o", program, file).CombinedOutput()
	if errors.Is(err, exec.ErrNotFound) {
		t.Fatal("no C compiler: apt-get install gcc libc6-dev linux-libc-dev")
	}
	if err != nil {
		t.Fatalf("cc: %v (are the headers there? apt-get install linux-libc-dev)\n%s", err, out)
	}
	out, err = exec.Command(program).Output()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]uint64{}
	for line := range strings.Lines(string(out)) {
		expr, number, _ := strings.Cut(strings.TrimSpace(line), " = ")
		var v uint64
		if _, err := fmt.Sscan(number, &v); err != nil {
			t.Fatalf("cannot read %q: %v", line, err)
		}
		got[expr] = v
	}
	if len(got) != len(want) {
		t.Errorf("the C program showed %d values, want %d", len(got), len(want))
	}
	for expr, w := range want {
		if got[expr] != w {
			t.Errorf("%s: C has %d, Go has %d", expr, got[expr], w)
		}
	}
}

func TestEveryStructIsCompared(t *testing.T) {
	source, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	declared := 0
	for _, file := range source {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if strings.HasPrefix(line, "type ") && strings.HasSuffix(line, " struct {\n") {
				declared++
			}
		}
	}
	const pointer = 1 // Pointer is a field type, no struct of its own
	if declared-pointer != len(structs) {
		t.Errorf("%d structs are declared and %d compared", declared-pointer, len(structs))
	}
}
