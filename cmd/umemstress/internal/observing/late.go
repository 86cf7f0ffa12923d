package observing

import (
	"context"
	"time"

	"github.com/sirupsen/logrus"

	"umemstress/probes"
	"umemstress/probes/observe"
)

// attachLate has hooks attached in modules that are loaded later, until ctx is done, and tells
// where they are attached then.
func (f *flags) attachLate(ctx context.Context, session *probes.Session, shown *show) <-chan []observe.Hook {
	rehooked := make(chan []observe.Hook)
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
			f.dropPrivileges(f.probesNeed(session)) // of which fewer may be needed
			hooks := attachedNow(session)
			shown.rehook(hooks)
			select {
			case <-ctx.Done():
				return
			case rehooked <- hooks:
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
		if !a.Attached() {
			logrus.Debugf("not attached: %s: %v", a.Purpose, a.Denied)
		}
	}
	return hooksOf(attachments)
}
