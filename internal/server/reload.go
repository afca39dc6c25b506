package server

import (
	"baro.dev/internal/clients"
)

// Reload has the server go by another configuration. What cannot change while it runs keeps its value, and is named in unchanged, by the
// keys that a configuration has for it. A configuration that is wrong changes nothing: the error says why. What is not the
// configuration's, Version, Log and Traces, remains too.
//
// What was decided before is looked at again: see [clients.Registry.Reconfigure]. Events that are queued for an endpoint that stays
// are sent as ever.
func (s *Server) Reload(c Config) (unchanged []string, err error) {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	defer func() { s.metrics.Reloaded(err == nil) }()
	if s.draining.Err() != nil {
		return nil, errDraining
	}
	before := s.now()
	c.Log, c.Version, c.Traces, c.AdminOptional = before.Log, before.Version, before.Traces, before.AdminOptional
	anonymous := c.Anonymous
	c = c.withDefaults()
	unchanged = c.keep(&before.Config)
	c.Anonymous = anonymous // what Dev adds to it follows from the Dev that stays
	p, err := c.prepare()
	if err != nil {
		return nil, err
	}
	// Everything is known to be right: nothing fails from here on.
	settings, access := split(p.rules())
	o := p.Channels
	o.Rules = settings
	if err := s.hub.SetOptions(&o); err != nil {
		p.close()
		return nil, err
	}
	if s.certificates != nil {
		_ = s.certificates.Reload() // it was checked, and the log has it
		p.certificates.Close()
	}
	if p.verifier != nil && before.verifier != nil {
		p.verifier.Inherit(before.verifier)
	}
	s.backends.replace(p.backends, &p.Webhooks)
	s.setLimits(&p)
	s.live.Store(&current{Config: p.Config, origins: p.origins, verifier: p.verifier})
	s.registry.Reconfigure(s.policy(access))
	return unchanged, nil
}

// policy is what the registry goes by.
func (s *Server) policy(access []clients.Rule) clients.Config {
	now := s.now()
	return clients.Config{
		Verifier: now.verifier, Anonymous: now.Anonymous, Rules: access,
		AskConnect: now.Webhooks.Connect != nil, AskHeaders: now.Webhooks.ConnectHeaders,
	}
}

// ReloadFailed counts a reload that came to nothing before there was a configuration to be given to [Server.Reload].
func (s *Server) ReloadFailed() { s.metrics.Reloaded(false) }
