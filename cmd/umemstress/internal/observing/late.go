package observing

import (
	"context"
	"time"

	"github.com/sirupsen/logrus"

	"umemstress/probes"
	"umemstress/probes/observe"
)

// attachLate has hooks attached in modules that are loaded later, until ctx is done. What it delivers
// tells where they are attached then, and has to be called by who reads what was counted: it gives up
// privileges, and tries meanwhile what is refused without them, in all threads.
func (f *flags) attachLate(ctx context.Context, session *probes.Session, shown *show) <-chan func() []observe.Hook {
	rehooked := make(chan func() []observe.Hook)
	go func() {
		ticker := time.NewTicker(time.Second)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			changed, err := session.AttachLate()
			if err != nil {
				logrus.Warn(err)
			}
			if !changed {
				continue
			}
			over := make(chan struct{})
			rehook := func() []observe.Hook {
				defer close(over)
				f.dropPrivileges(f.probesNeed(session)) // of which fewer may be needed
				hooks := attachedNow(session)
				shown.rehook(hooks)
				return hooks
			}
			select {
			case <-ctx.Done():
				return
			case rehooked <- rehook:
				<-over
			}
			if err := session.ListRegions(); err != nil { // those that were pinned meanwhile
				logrus.Debugf("regions are not listed: %v", err)
			}
		}
	}()
	return rehooked
}

func attachedNow(session *probes.Session) []observe.Hook {
	attachments := session.Attachments()
	for _, a := range attachments {
		if !a.Attached() && a.Awaits == "" {
			logrus.Debugf("not attached: %s: %v", a.Purpose, a.Denied)
		}
	}
	return hooksOf(attachments)
}
