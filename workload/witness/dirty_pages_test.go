package witness

import "testing"

func TestParseDirty(t *testing.T) {
	const vmstat = "nr_free_pages 7\nnr_dirty 12\nnr_dirtied 3\nnr_dirty_threshold 40\nnr_dirty_background_threshold 20\n"
	d, err := parseDirty(vmstat)
	if err != nil || d != (Dirty{12, 40}) || d.Full() {
		t.Errorf("%+v, %v", d, err)
	}
	if !(Dirty{40, 40}).Full() {
		t.Error("at the limit writers go on")
	}
	for _, bad := range []string{"", "nr_dirty 12\n", "nr_dirty x\nnr_dirty_threshold 4\n", "nr_dirty_threshold 4\n"} {
		if d, err := parseDirty(bad); err == nil {
			t.Errorf("%q: %+v", bad, d)
		}
	}
}
