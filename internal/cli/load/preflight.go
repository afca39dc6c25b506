package load

import (
	"fmt"
	"runtime"
)

// defaultWorkers leaves half of the processors to the server, if it is on the same machine, and to the kernel.
func defaultWorkers() int { return max(1, runtime.GOMAXPROCS(0)/2) }

// spareDescriptors are for everything but connections.
const spareDescriptors = 64

// preflight sees whether this machine can open so many connections. The notes say what may not go well.
func (o *Options) preflight() (notes []string, err error) {
	need := uint64(o.Connections + spareDescriptors + 2*o.Opening) // a connection has two for a moment
	if o.Scenario == FanOut {
		need += uint64(o.Publishers)
	}
	if have, ok := descriptors(need); ok && have < need {
		return nil, usage("%d connections take %d descriptors, and this process may have %d: raise the limit (ulimit -n), or take fewer --connections",
			o.Connections, need, have)
	}
	if ports, ok := localPorts(); ok && o.Connections > ports && o.Target.URL.Scheme != "ws+unix" {
		notes = append(notes, fmt.Sprintf("This machine has %d ports for connections to one address (net.ipv4.ip_local_port_range), and %d were asked for.",
			ports, o.Connections))
	}
	return notes, nil
}
