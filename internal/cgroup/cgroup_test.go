package cgroup_test

import (
	"testing"
	"testing/fstest"

	"baro.dev/internal/cgroup"
)

func TestMemoryLimit(t *testing.T) {
	for name, test := range map[string]struct {
		files map[string]string
		want  int64 // 0: none
	}{
		"no cgroups": {nil, 0},
		"version 2": {map[string]string{
			"proc/self/cgroup": "0::/system.slice/baro.service\n",
			"sys/fs/cgroup/system.slice/baro.service/memory.max": "536870912\n",
			"sys/fs/cgroup/system.slice/memory.max":              "max\n",
		}, 512 << 20},
		"the parent has less": {map[string]string{
			"proc/self/cgroup":             "0::/a/b",
			"sys/fs/cgroup/a/b/memory.max": "2000000000\n",
			"sys/fs/cgroup/a/memory.max":   "1000000000\n",
		}, 1_000_000_000},
		"version 2, none": {map[string]string{
			"proc/self/cgroup":           "0::/a\n",
			"sys/fs/cgroup/a/memory.max": "max\n",
		}, 0},
		"a container": {map[string]string{
			"proc/self/cgroup":         "0::/\n",
			"sys/fs/cgroup/memory.max": "268435456\n",
		}, 256 << 20},
		"a container without a namespace": {map[string]string{
			"proc/self/cgroup":         "0::/kubepods/pod1/c2\n",
			"sys/fs/cgroup/memory.max": "268435456\n",
		}, 256 << 20},
		"version 1": {map[string]string{
			"proc/self/cgroup": "12:cpu,cpuacct:/x\n5:memory:/docker/abc\n1:name=systemd:/x\n",
			"sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes": "134217728\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes":            "9223372036854771712\n",
		}, 128 << 20},
		"version 1, none": {map[string]string{
			"proc/self/cgroup":                           "5:memory:/\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
		}, 0},
		"both": {map[string]string{
			"proc/self/cgroup": "5:hugetlb,memory:/a\n0::/a\n",
			"sys/fs/cgroup/memory/a/memory.limit_in_bytes": "134217728\n",
		}, 128 << 20},
		"upwards":  {map[string]string{"proc/self/cgroup": "0::/../../a\n", "sys/fs/cgroup/a/memory.max": "4096\n"}, 4096},
		"nonsense": {map[string]string{"proc/self/cgroup": "x\n0::\n5:memory\n", "sys/fs/cgroup/memory.max": "-1\n"}, 0},
	} {
		root := fstest.MapFS{}
		for name, text := range test.files {
			root[name] = &fstest.MapFile{Data: []byte(text)}
		}
		got, ok := cgroup.MemoryLimit(root)
		if ok != (test.want > 0) || ok && got != test.want {
			t.Errorf("%s: %d, %v; want %d", name, got, ok, test.want)
		}
	}
}
