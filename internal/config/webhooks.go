package config

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"baro.dev/channel"
	"baro.dev/internal/auth"
	"baro.dev/internal/server"
	"baro.dev/internal/webhook"
)

// Webhooks are how the backend is told what happens, and asked: see [server.Webhooks].
type Webhooks struct {
	Endpoints   []Endpoint `yaml:"endpoints" doc:"whom events go to"`
	QueueEvents int        `yaml:"queue_events" default:"10000" doc:"events that wait, for each endpoint"`
	QueueBytes  size       `yaml:"queue_bytes" default:"16MiB" doc:"bytes of them"`
	Questions   Questions  `yaml:"questions" doc:"what the backend is asked"`
}

// Questions are what the backend is asked.
type Questions struct {
	Connect *Question `yaml:"connect" doc:"who is it? With auth asked of clients without a token, else of all"`
	RPC     *Question `yaml:"rpc" example:"{url: https://backend.example.com/rpc, secret_file: webhook.secret}" doc:"what clients ask; keys as those of connect, without client_headers"`
}

// An Endpoint is whom events go to: see [webhook.Endpoint]. A secret may be several, with white space between them; without one
// it is that of the environment.
type Endpoint struct {
	URL         string            `yaml:"url" required:"true" example:"https://backend.example.com/baro" doc:"where events are posted to"`
	Secret      string            `yaml:"secret" secret:"true" doc:"what signs them; several, with white space between them, while they are changed; else BARO_WEBHOOK_SECRET"`
	SecretFile  path              `yaml:"secret_file" secret:"true" example:"webhook.secret" doc:"the file that it is in, a line each"`
	Events      []string          `yaml:"events" example:"[connected, \"sub*\"]" doc:"names, or beginnings of names and a *; without it all"`
	Channels    []pattern         `yaml:"channels" example:"[\"rooms/**\"]" doc:"of which channels; without it of all"`
	Headers     map[string]string `yaml:"headers" secret:"true" example:"{X-Site: seoul}" doc:"sent along"`
	Timeout     duration          `yaml:"timeout" default:"5s" doc:"of a request"`
	BatchEvents int               `yaml:"batch_events" default:"100" doc:"events in one request"`
	BatchBytes  size              `yaml:"batch_bytes" default:"512KiB" doc:"bytes of them"`
	BatchDelay  duration          `yaml:"batch_delay" default:"100ms" doc:"how long an event may wait for others to go with"`
	Concurrency int               `yaml:"concurrency" default:"1" doc:"requests at a time; 1 keeps events in order"`
	MaxAge      duration          `yaml:"max_age" default:"10m" doc:"of events that are still tried"`

	secrets []string
}

func (e *Endpoint) check() (err error) {
	if e.secrets, err = secretsOf(e.Secret, e.SecretFile); err != nil {
		return err
	}
	s, err := webhook.New(webhook.Config{Endpoints: []webhook.Endpoint{e.endpoint(webhook.NewSecret())}})
	if err != nil {
		return without("webhook: endpoint 1: ", err)
	}
	return s.Close(context.Background()) // it has nothing to send
}

// endpoint is what webhook makes of it; secret is for want of one of its own.
func (e *Endpoint) endpoint(secret ...string) webhook.Endpoint {
	o := webhook.Endpoint{
		URL: e.URL, Secrets: e.secrets, Types: e.Events, Headers: e.Headers, Timeout: e.Timeout.std(),
		BatchEvents: e.BatchEvents, BatchBytes: int(e.BatchBytes), BatchDelay: e.BatchDelay.std(),
		Concurrency: e.Concurrency, MaxAge: e.MaxAge.std(),
	}
	if len(o.Secrets) == 0 {
		o.Secrets = secret
	}
	if len(e.Channels) > 0 {
		var wanted []channel.Pattern
		for _, p := range e.Channels {
			wanted = append(wanted, p.Pattern)
		}
		rights := auth.Rights{Subscribe: wanted} // as everywhere, ** is not the channels of users
		o.Wants = func(name string) bool { return rights.May(auth.Subscribe, name) }
	}
	return o
}

// A Question is whom the server asks: see [webhook.AskerConfig].
type Question struct {
	URL            string            `yaml:"url" required:"true" example:"https://backend.example.com/connect" doc:"where the question is posted to"`
	Secret         string            `yaml:"secret" secret:"true" doc:"what signs it, as that of endpoints"`
	SecretFile     path              `yaml:"secret_file" secret:"true" example:"webhook.secret" doc:"the file that it is in"`
	Headers        map[string]string `yaml:"headers" secret:"true" example:"{X-Site: seoul}" doc:"sent along"`
	ClientHeaders  []string          `yaml:"client_headers" example:"[Cookie]" doc:"headers of the client's request that are passed on"`
	Timeout        duration          `yaml:"timeout" default:"5s" doc:"of a question"`
	Concurrency    int               `yaml:"concurrency" default:"64" doc:"questions at a time"`
	MaxWaiting     int               `yaml:"max_waiting" default:"1024" doc:"questions that wait for their turn; more are refused"`
	MaxAnswerBytes size              `yaml:"max_answer_bytes" default:"1MiB" doc:"bytes of an answer"`

	secrets []string
}

func (q *Question) check() (err error) {
	if q.secrets, err = secretsOf(q.Secret, q.SecretFile); err != nil {
		return err
	}
	a, err := webhook.NewAsker(*q.asker(webhook.NewSecret()))
	if err != nil {
		return without("webhook: ", err)
	}
	return a.Close()
}

func (q *Questions) check() error {
	if q.RPC != nil && q.RPC.ClientHeaders != nil {
		return errors.New("client_headers are for connect: what a client asks later comes without headers")
	}
	return nil
}

// asker is what webhook makes of it; nil of nil.
func (q *Question) asker(secret ...string) *webhook.AskerConfig {
	if q == nil {
		return nil
	}
	o := &webhook.AskerConfig{
		URL: q.URL, Secrets: q.secrets, Headers: q.Headers, Timeout: q.Timeout.std(), Concurrency: q.Concurrency,
		MaxWaiting: q.MaxWaiting, MaxAnswerBytes: int(q.MaxAnswerBytes),
	}
	if len(o.Secrets) == 0 {
		o.Secrets = secret
	}
	return o
}

// without takes off what the place of a mistake says better.
func without(prefix string, err error) error {
	return errors.New(strings.TrimPrefix(err.Error(), prefix))
}

func secretsOf(secret string, file path) ([]string, error) {
	if secret != "" && file != "" {
		return nil, errors.New("secret and secret_file: there can be one of them")
	}
	if file != "" {
		text, err := readBounded(string(file))
		if err != nil {
			return nil, err
		}
		secret = string(text)
		if strings.TrimSpace(secret) == "" {
			return nil, fmt.Errorf("%s is empty", file)
		}
	}
	return strings.Fields(secret), nil
}

// loadWebhooks gives what the server makes of them. Where no secret is given it is that of the environment.
func (c *Config) loadWebhooks(lookup func(string) (string, bool)) (o server.Webhooks, err error) {
	text, err := c.secretOf(webhookSecret, lookup)
	if err != nil {
		return o, err
	}
	w := &c.file.Webhooks
	secrets := strings.Fields(text)
	o.Events = webhook.Config{QueueEvents: w.QueueEvents, QueueBytes: int64(w.QueueBytes)}
	for i := range w.Endpoints {
		o.Events.Endpoints = append(o.Events.Endpoints, w.Endpoints[i].endpoint(secrets...))
		if len(o.Events.Endpoints[i].Secrets) == 0 {
			return o, fmt.Errorf("webhooks.endpoints[%d]: %w", i, errNoSecret)
		}
	}
	o.Connect, o.RPC = w.Questions.Connect.asker(secrets...), w.Questions.RPC.asker(secrets...)
	for kind, asked := range map[string]*webhook.AskerConfig{"connect": o.Connect, "rpc": o.RPC} {
		if asked != nil && len(asked.Secrets) == 0 {
			return o, fmt.Errorf("webhooks.questions.%s: %w", kind, errNoSecret)
		}
	}
	if w.Questions.Connect != nil {
		o.ConnectHeaders = w.Questions.Connect.ClientHeaders
	}
	return o, nil
}

var errNoSecret = errors.New(`there is no secret to sign with: give secret_file, secret, or BARO_WEBHOOK_SECRET in the environment; echo "whsec_$(openssl rand -base64 32)" makes one`)
