package build

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"umemstress/soft-roce/lab/internal/host"
)

const base = "one\ntwo\nthree\n"

func TestApplyAll(t *testing.T) {
	dir := t.TempDir()
	lay(t, dir, map[string]string{"mm/a.c": base, "mm/b.c": base, "mm/c.c": base})
	stage := func() string { return t.TempDir() }
	const (
		first  = "--- a/mm/a.c\t2026-01-01 00:00:00\n+++ b/mm/a.c\n@@ -1,3 +1,3 @@\n one\n-two\n+TWO\n three\n"
		second = "diff --git a/mm/a.c b/mm/a.c\n--- a/mm/a.c\n+++ b/mm/a.c\n@@ -1,3 +1,3 @@\n-one\n+ONE\n TWO\n three\n"
		gone   = "--- a/mm/b.c\n+++ /dev/null\n@@ -1,3 +0,0 @@\n-one\n-two\n-three\n"
		made   = "--- /dev/null\n+++ b/mm/new/d.c\n@@ -0,0 +1 @@\n+four\n"
		moved  = "diff --git a/mm/c.c b/mm/e.c\nsimilarity index 100%\nrename from mm/c.c\nrename to mm/e.c\n"
	)
	got, err := applyAll(t.Context(), dir, stage(), []change{{"1", []byte(first)}, {"2", []byte(second + gone)}, {"3", []byte(made + moved)}})
	if err != nil {
		t.Fatal(err)
	}
	if string(got["mm/a.c"].content) != "ONE\nTWO\nthree\n" || !got["mm/b.c"].gone || string(got["mm/new/d.c"].content) != "four\n" ||
		!got["mm/c.c"].gone || string(got["mm/e.c"].content) != base || len(got) != 5 {
		t.Errorf("%+v", got)
	}
	for says, diff := range map[string]string{
		"FAILED":                 strings.ReplaceAll(first, "two", "zwei"),
		"previously applied":     "--- a/mm/a.c\n+++ b/mm/a.c\n@@ -1,3 +1,3 @@\n one\n-zwei\n+two\n three\n",
		"mm/none.c":              strings.ReplaceAll(first, "mm/a.c", "mm/none.c"),
		"not in the source":      strings.ReplaceAll(first, "mm/a.c", "../../x"),
		"no patch in diff's":     "nothing\n",
		"made for it, with path": "--- mm/a.c\n+++ mm/a.c\n@@ -1,3 +1,3 @@\n one\n-two\n+TWO\n three\n",
	} {
		at := stage()
		if _, err := applyAll(t.Context(), dir, at, []change{{"--patch p", []byte(diff)}}); !isUsage(err, "--patch p", says) {
			t.Errorf("%s: %v", says, err)
		}
		if got := files(t, dir); got["mm/a.c"] != base || len(got) != 3 {
			t.Errorf("%s: the source was changed: %v", says, got)
		}
	}
}

// Each fix is taken out of code as kernels have it, and of other code nothing is.
func TestFixes(t *testing.T) {
	dir := t.TempDir()
	lay(t, dir, map[string]string{
		"fs/ext4/inode.c": `static int ext4_writepage(struct page *page)
{
	if (!page_has_buffers(page)) {
		ext4_warning_inode(inode,
		   "page %lu does not have buffers attached", page->index);
		ClearPageDirty(page);
		unlock_page(page);
		return 0;
	}
	return 1;
}

static int mpage_prepare_extent_to_map(struct mpage_da_data *mpd)
{
	for (i = 0; i < n; i++) {
		if (!folio_buffers(folio)) {
			ext4_warning_inode(mpd->inode, "page %lu does not have buffers attached", folio->index);
			folio_clear_dirty(folio);
			folio_unlock(folio);
			continue;
		}
		if (!folio_buffers(folio))
			break;
	}
}
`,
		"mm/vmscan.c": "static void shrink(void)\n{\n\tif (folio_maybe_dma_pinned(folio))\n\t\tgoto keep_locked;\n\tif (folio_maybe_dma_pinned(folio))\n\t\tgoto activate_locked;\nkeep_locked:\nactivate_locked:\n\treturn;\n}\n",
		"mm/gup.c":    "static int check_vma_flags(struct vm_area_struct *vma)\n{\n\tif (write) {\n\t\tif (!vma_anon &&\n\t\t    !writable_file_mapping_allowed(vma, gup_flags))\n\t\t\treturn -EFAULT;\n\t\tgo();\n\t}\n\treturn 0;\n}\n",
	})
	s := spatching{base: dir, kept: t.TempDir(), jobs: 1, log: host.Log(nil)}
	for commit, want := range map[string][]string{
		"cc5095747edf": {"+\tBUG_ON(!page_has_buffers(page));", "+\t\tBUG_ON(!folio_buffers(folio));"},
		"d824ec2a1546": {"-\tif (folio_maybe_dma_pinned(folio))", "-\t\tgoto activate_locked;"},
		"8ac268436e6d": {"-\t\t    !writable_file_mapping_allowed(vma, gup_flags))", "-\t\t\treturn -EFAULT;"},
	} {
		fix, err := fixNamed(commit)
		if err != nil {
			t.Fatal(err)
		}
		diff, err := s.diff(t.Context(), semantic{commit, fix.cocci})
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(string(diff), "\n")
		for _, line := range want {
			if !slices.Contains(lines, line) {
				t.Errorf("%s: %q is not in\n%s", commit, line, diff)
			}
		}
		if strings.Contains(string(diff), "-\t\tgoto keep_locked") || strings.Contains(string(diff), "-\t\t\tbreak") {
			t.Errorf("%s: takes out more:\n%s", commit, diff)
		}
		if _, err := applyAll(t.Context(), dir, t.TempDir(), []change{{commit, diff}}); err != nil {
			t.Error(err)
		}
		if fix.Effect == "" || strings.Contains(fix.Effect, "files:") {
			t.Errorf("%s: without it, %q", commit, fix.Effect)
		}
	}
	// What was found once is kept, for this content of the file.
	kept, err := filepath.Glob(filepath.Join(s.kept, "*.diff"))
	if err != nil || len(kept) != 3 {
		t.Fatalf("%q, %v", kept, err)
	}
	t.Setenv("PATH", t.TempDir())
	fix := Fixes()[1]
	if _, err := s.diff(t.Context(), semantic{"again", fix.cocci}); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "fs/ext4/inode.c"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := s.diff(t.Context(), semantic{"again", fix.cocci}); err == nil {
		t.Error("a diff of other content was taken")
	}
}

func TestBadSemanticPatch(t *testing.T) {
	dir := t.TempDir()
	lay(t, dir, map[string]string{"a.c": "int a;\n"})
	s := spatching{base: dir, kept: t.TempDir(), jobs: 1, log: host.Log(nil)}
	for says, cocci := range map[string]string{
		"coccinelle cannot use it": "// files: a.c\n@@\nexpression e\n@@\n- e(\n",
		"none of b.c":              "// files: b.c\n@@ @@\n- a\n",
		"../b.c, which is not in":  "// files: ../b.c\n@@ @@\n- a\n",
	} {
		if _, err := s.diff(t.Context(), semantic{"--semantic-patch p", cocci}); !isUsage(err, "--semantic-patch p", says) {
			t.Errorf("%s: %v", says, err)
		}
	}
	everywhere := semantic{"--semantic-patch p", "@@ @@\n- int a;\n+ int b;\n"}
	diff, err := s.diff(t.Context(), everywhere)
	if err != nil || !strings.Contains(string(diff), "+++ b/a.c") && !strings.Contains(string(diff), "+++ b/./a.c") {
		t.Errorf("%s, %v", diff, err)
	}
}
