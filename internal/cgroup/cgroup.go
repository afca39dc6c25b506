// Package cgroup tells how much memory the control group of this process may have (cgroups(7), of Linux).
package cgroup

import (
	"io"
	"io/fs"
	"math"
	"path"
	"strconv"
	"strings"
)

// maxFileBytes is how much is read of a file.
const maxFileBytes = 1 << 20

// MemoryLimit is the least of the limits of the process's control group and of those that it is in, in bytes; ok is false if there is
// none. root is the root of the file system: os.DirFS("/").
func MemoryLimit(root fs.FS) (limit int64, ok bool) {
	limit = math.MaxInt64
	for line := range strings.Lines(read(root, "proc/self/cgroup")) {
		// hierarchy:controllers:path
		fields := strings.SplitN(strings.TrimRight(line, "\n"), ":", 3)
		switch {
		case len(fields) < 3:
		case fields[0] == "0" && fields[1] == "": // version 2
			limit = min(limit, least(root, "sys/fs/cgroup", fields[2], "memory.max"))
			limit = min(limit, least(root, "sys/fs/cgroup/unified", fields[2], "memory.max"))
		case strings.Contains(","+fields[1]+",", ",memory,"):
			limit = min(limit, least(root, "sys/fs/cgroup/memory", fields[2], "memory.limit_in_bytes"))
		}
	}
	// Version 1 says "none" by the largest number of pages.
	return limit, limit < 1<<62
}

// least is the least of the limits of a group, and of those that it is in. In a namespace of its own (cgroup_namespaces(7)), as in a
// container, the group may be called otherwise than it is mounted: its limit is at the root there.
func least(root fs.FS, mount, group, file string) int64 {
	limit := int64(math.MaxInt64)
	for at := path.Clean("/" + group); ; at = path.Dir(at) {
		text := strings.TrimSpace(read(root, path.Join(mount, at, file)))
		if n, err := strconv.ParseInt(text, 10, 64); err == nil && n > 0 {
			limit = min(limit, n)
		}
		if at == "/" {
			return limit
		}
	}
}

func read(root fs.FS, name string) string {
	f, err := root.Open(name)
	if err != nil {
		return ""
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(io.LimitReader(f, maxFileBytes))
	if err != nil {
		return ""
	}
	return string(text)
}
