package job

import (
	"slices"
	"strconv"
	"strings"

	"umemstress/cmd/umemstress/internal/exit"
)

// launcher is what starts ranks, and the variables by which it tells each which one it is, of how many.
type launcher struct{ rank, size string }

// launchers are in the order in which they are asked: whoever starts ranks within an allocation of Slurm's leaves its
// variables in the environment, and they are of something else then. Kubernetes tells no size.
var launchers = []launcher{
	{"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"},
	{"PMI_RANK", "PMI_SIZE"},
	{"SLURM_PROCID", "SLURM_NTASKS"},
	{"JOB_COMPLETION_INDEX", ""},
}

// maxRanks is more than anybody has: a larger number is a typing error.
const maxRanks = 1 << 20

// rankOf is which rank this process is, of how many, as the environment has it; ranks is what --ranks says, or 0.
func rankOf(environment []string, ranks int) (rank, size int, err error) {
	value := func(name string) (string, bool) {
		at := slices.IndexFunc(environment, func(e string) bool { return strings.HasPrefix(e, name+"=") })
		if name == "" || at < 0 {
			return "", false
		}
		return environment[at][len(name)+1:], true
	}
	for _, l := range launchers {
		if text, there := value(l.rank); there {
			sizeText, _ := value(l.size)
			return l.read(text, sizeText, ranks)
		}
	}
	return 0, 0, exit.Usagef("nobody says which rank this is: start umemstress job by srun, mpirun or an indexed Job of Kubernetes, which set SLURM_PROCID, OMPI_COMM_WORLD_RANK, PMI_RANK or JOB_COMPLETION_INDEX")
}

// read takes what the variables say for numbers that make pairs.
func (l launcher) read(rankText, sizeText string, ranks int) (rank, size int, err error) {
	size, sizeFrom := ranks, "--ranks "+strconv.Itoa(ranks)
	switch {
	case l.size == "" && ranks == 0:
		return 0, 0, exit.Usagef("%s=%s does not tell how many ranks there are: give --ranks, the Job's completions", l.rank, rankText)
	case l.size != "":
		sizeFrom = l.size + "=" + sizeText
		if size, err = strconv.Atoi(sizeText); err != nil || size < 1 || size > maxRanks {
			return 0, 0, exit.Usagef("%s=%s beside %s=%s: it has to be the number of ranks", l.size, sizeText, l.rank, rankText)
		}
		if ranks != 0 && ranks != size {
			return 0, 0, exit.Usagef("--ranks %d: %s says otherwise; leave --ranks out", ranks, sizeFrom)
		}
	}
	if rank, err = strconv.Atoi(rankText); err != nil || rank < 0 || rank >= size {
		return 0, 0, exit.Usagef("%s=%s: it has to be a rank from 0 to %d, of %s", l.rank, rankText, size-1, sizeFrom)
	}
	if size%2 != 0 {
		return 0, 0, exit.Usagef("%s: ranks go in pairs; start an even number of them", sizeFrom)
	}
	return rank, size, nil
}
