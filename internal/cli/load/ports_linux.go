package load

import (
	"fmt"
	"os"
)

// localPorts is how many ports there are for connections to one address.
func localPorts() (int, bool) {
	b, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	var first, last int
	if _, failed := fmt.Sscan(string(b), &first, &last); err != nil || failed != nil {
		return 0, false
	}
	return last - first + 1, true
}
