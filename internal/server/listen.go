package server

import (
	"net"
	"strconv"
)

// URLs are where the server can be reached, by what [Server.Listen] listens on: for every address, the local one and
// those of the local network; else the one address.
func (s *Server) URLs() []string { return urlsOf(s.scheme(), s.listener.Addr()) }

func urlsOf(scheme string, of net.Addr) []string {
	addr, ok := of.(*net.TCPAddr)
	if !ok {
		return nil
	}
	port := strconv.Itoa(addr.Port)
	url := func(host string) string { return scheme + "://" + net.JoinHostPort(host, port) + "/" }
	switch {
	case addr.IP.IsLoopback():
		return []string{url("localhost")}
	case !addr.IP.IsUnspecified():
		return []string{url(addr.IP.String())}
	}
	urls := []string{url("localhost")}
	for _, ip := range localNetworkAddresses() {
		urls = append(urls, url(ip.String()))
	}
	return urls
}

func (s *Server) scheme() string {
	if s.config.speaksTLS() {
		return "https"
	}
	return "http"
}

// localNetworkAddresses are this machine's IPv4 addresses but the loopback ones.
func localNetworkAddresses() []net.IP {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	var ips []net.IP
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil && n.IP.IsGlobalUnicast() {
			ips = append(ips, n.IP)
		}
	}
	return ips
}
