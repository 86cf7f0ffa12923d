package record

import (
	"cmp"
	"fmt"
)

// dropped is how many folios the probes saw writeback throw away for want of buffers.
func (w testimony) dropped() uint64 {
	if w.Probes.State != StateOK || w.Probes.DroppedFolios == nil {
		return 0
	}
	return *w.Probes.DroppedFolios
}

// strangeProbes looks for more folios than there are pages in them.
func strangeProbes(r *Record) string {
	p := r.Channels.Probes
	if p.StrippedPages == nil || p.StrippedFolios == nil || *p.StrippedFolios <= *p.StrippedPages {
		return ""
	}
	return fmt.Sprintf("%d folios are stripped, and yet there are %d pages in them", *p.StrippedFolios, *p.StrippedPages)
}

// disputedStrip compares what the probes saw reclaim take with what the frames have lost, and
// with what was dirtied without buffers, which it had once. More than both is no contradiction:
// reclaim comes again, and in other phases, too.
func (w testimony) disputedStrip() (found []string) {
	p := w.Probes
	if p.State != StateOK || p.StrippedPages == nil || p.LostStrips > 0 || !w.facts.DropsBufferless || !w.facts.PinsCounted {
		return nil // or who could not have seen it
	}
	saw := fmt.Sprintf("the probes saw %d pages stripped of their buffers while pinned", *p.StrippedPages)
	if f := w.Folios; f.State == StateOK && f.StrippedPages > *p.StrippedPages {
		found = append(found, fmt.Sprintf("%s, and in the frames %d pages of the region have lost them to the strip", saw, f.StrippedPages))
	}
	if p.BufferlessPages > *p.StrippedPages {
		found = append(found, fmt.Sprintf("%s, and %d dirtied without any", saw, p.BufferlessPages))
	}
	return found
}

// disputedDrop compares the witnesses of one drop: the probes, which know the file, ext4's count
// for the whole file system, and its log, which leaves out most.
func (w testimony) disputedDrop() (found []string) {
	p := w.Probes
	if p.State != StateOK || p.DroppedFolios == nil || p.LostStrips > 0 {
		return nil
	}
	saw := fmt.Sprintf("the probes saw %d folios dropped by writeback", *p.DroppedFolios)
	if rise, known := w.WarningRise(); known && (rise < *p.DroppedFolios || rise > *p.DroppedFolios && w.file.Scratch) {
		found = append(found, fmt.Sprintf("%s, and warning_count rose by %d", saw, rise))
	}
	if k := w.Kmsg; k.State == StateOK && k.BufferlessPages > *p.DroppedFolios && w.file.Scratch {
		found = append(found, fmt.Sprintf("%s, and the kernel's log has %d messages of such", saw, k.BufferlessPages))
	}
	return found
}

// disputedLoss compares what was lost of a file system that drops pages without buffers. Each
// folio that was dirtied so is one warning of ext4's code, whatever the size of its blocks, and
// its pages are stale on the disk as far as they are the region's. Where data goes through the
// journal, pages may be lost that had their buffers, and nobody warns of them: 6.12 and newer
// write those to it that were dirtied unannounced and are pinned by FOLL_PIN, no others
// (ext4_journalled_dirty_folio).
func (w testimony) disputedLoss() (found []string) {
	add := func(when bool, format string, args ...any) {
		if when {
			found = append(found, fmt.Sprintf(format, args...))
		}
	}
	probed := w.Probes.State == StateOK
	large, _ := w.Folios.LargePages(w.pageSize)
	stale, pages := w.Disk.StalePages, w.Probes.BufferlessPages
	leftClean := w.leftClean()
	most, kept := pages+leftClean, leftClean
	if w.facts.JournalsData && w.Probes.UnannouncedPages > pages {
		kept += w.Probes.UnannouncedPages - pages
	}
	folios := cmp.Or(w.Probes.BufferlessFolios, pages) // evidence from before folios were counted has pages alone
	rise, known := w.WarningRise()
	told := fmt.Sprintf("warning_count rose by %d", rise)
	if probed && w.Probes.DroppedFolios != nil && !w.file.Scratch {
		// Others may use the file system, and warning_count tells of them, too.
		rise, known, told = *w.Probes.DroppedFolios, w.Probes.LostStrips == 0, fmt.Sprintf("the probes saw %d dropped", *w.Probes.DroppedFolios)
	}
	if known {
		add(large == 0 && (stale < rise || stale > rise+kept), "%s, and %d pages are stale on disk", told, stale)
		add(large > 0 && probed && rise != folios, "%s, and the probes counted %d buffer-less folios", told, folios)
		add(large > 0 && rise > stale, "%s folios, and no more than %d pages are stale on disk", told, stale)
	}
	add(probed && large == 0 && (stale < pages || stale > pages+kept), "the probes counted %d buffer-less pages, and %d are stale on disk", pages, stale)
	add(probed && large > 0 && most < stale, "the probes counted no more than %d buffer-less pages, and %d are stale on disk", pages, stale)
	return found
}
