package verbs

// EventType is what a device tells unasked. enum ib_event_type, ib_verbs.h.
type EventType uint32

// Asynchronous events.
const (
	EventCQError      EventType = 0  // a completion queue has lost completions, or broke down
	EventQPFatal      EventType = 1  // a queue pair broke down
	EventQPRequest    EventType = 2  // the peer of a queue pair sent what is malformed
	EventQPAccess     EventType = 3  // the peer of a queue pair may not do what it asked for
	EventDeviceFatal  EventType = 8  // the device broke down, or is being removed
	EventPortActive   EventType = 9  // a port carries traffic from now on
	EventPortError    EventType = 10 // a port carries none from now on
	EventSRQError     EventType = 14 // a shared receive queue broke down
	eventPathMigrated EventType = 7  // the last of those that begin with 0 and are of a queue or a queue pair
	eventLastWQE      EventType = 16 // of a queue pair
)

// OfQP says whether events of a type are of a queue pair.
func (t EventType) OfQP() bool {
	return t >= EventQPFatal && t <= eventPathMigrated || t == eventLastWQE
}

// OfPort says whether events of a type are of a port, of those that are named here.
func (t EventType) OfPort() bool { return t == EventPortActive || t == EventPortError }

// Event is an asynchronous event. struct ib_uverbs_async_event_desc, ib_user_verbs.h; struct
// ibv_async_event, verbs.h.
type Event struct {
	Type EventType
	Port uint8  // of events of a port
	QPN  uint32 // of events of a queue pair; 0: it is gone
}
