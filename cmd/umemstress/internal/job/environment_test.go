package job

import (
	"strings"
	"testing"

	"umemstress/cmd/umemstress/internal/exit"
)

// Each launcher tells rank and size in its way, and the innermost is heard.
func TestRankOf(t *testing.T) {
	for environment, want := range map[string][2]int{
		"SLURM_PROCID=3 SLURM_NTASKS=4":                                               {3, 4},
		"OMPI_COMM_WORLD_RANK=0 OMPI_COMM_WORLD_SIZE=2":                               {0, 2},
		"PMI_RANK=1 PMI_SIZE=2 HOME=/root":                                            {1, 2},
		"SLURM_PROCID=0 SLURM_NTASKS=1 OMPI_COMM_WORLD_RANK=5 OMPI_COMM_WORLD_SIZE=8": {5, 8},
		"SLURM_PROCID=0 SLURM_NTASKS=2 PMI_RANK=3 PMI_SIZE=4":                         {3, 4},
	} {
		if rank, size, err := rankOf(strings.Fields(environment), 0); err != nil || [2]int{rank, size} != want {
			t.Errorf("%s: %d of %d, %v; want %v", environment, rank, size, err, want)
		}
	}
	if rank, size, err := rankOf([]string{"JOB_COMPLETION_INDEX=5"}, 6); err != nil || rank != 5 || size != 6 {
		t.Errorf("Kubernetes: %d of %d, %v", rank, size, err)
	}
	if rank, size, err := rankOf([]string{"PMI_RANK=1", "PMI_SIZE=2"}, 2); err != nil || rank != 1 || size != 2 {
		t.Errorf("--ranks says the same: %d of %d, %v", rank, size, err)
	}
}

// What makes no pairs is refused in a sentence with the variable that says it.
func TestNoRank(t *testing.T) {
	for _, c := range []struct {
		environment string
		ranks       int
		says        string
	}{
		{"HOME=/root", 0, "nobody says which rank this is"},
		{"HOME=/root", 4, "nobody says which rank this is"},
		{"SLURM_PROCID=0", 0, "SLURM_NTASKS= beside SLURM_PROCID=0"},
		{"SLURM_PROCID=0 SLURM_NTASKS=3", 0, "SLURM_NTASKS=3: ranks go in pairs"},
		{"SLURM_PROCID=0 SLURM_NTASKS=1", 0, "SLURM_NTASKS=1: ranks go in pairs"},
		{"SLURM_PROCID=4 SLURM_NTASKS=4", 0, "SLURM_PROCID=4: it has to be a rank from 0 to 3"},
		{"SLURM_PROCID=-1 SLURM_NTASKS=4", 0, "SLURM_PROCID=-1"},
		{"SLURM_PROCID= SLURM_NTASKS=4", 0, "SLURM_PROCID=: "},
		{"PMI_RANK=one PMI_SIZE=2", 0, "PMI_RANK=one"},
		{"PMI_RANK=1 PMI_SIZE=0", 0, "PMI_SIZE=0"},
		{"PMI_RANK=1 PMI_SIZE=99999999999999999999", 0, "PMI_SIZE=99999999999999999999"},
		{"OMPI_COMM_WORLD_RANK=1 OMPI_COMM_WORLD_SIZE=1073741824", 0, "OMPI_COMM_WORLD_SIZE=1073741824"},
		{"OMPI_COMM_WORLD_RANK=1 OMPI_COMM_WORLD_SIZE=2", 4, "--ranks 4: OMPI_COMM_WORLD_SIZE=2 says otherwise"},
		{"JOB_COMPLETION_INDEX=0", 0, "JOB_COMPLETION_INDEX=0 does not tell how many ranks there are: give --ranks"},
		{"JOB_COMPLETION_INDEX=0", 3, "--ranks 3: ranks go in pairs"},
		{"JOB_COMPLETION_INDEX=4", 4, "from 0 to 3, of --ranks 4"},
	} {
		_, _, err := rankOf(strings.Fields(c.environment), c.ranks)
		if exit.Code(err) != exit.Usage || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s, --ranks %d: %v, want %q", c.environment, c.ranks, err, c.says)
		}
	}
}
