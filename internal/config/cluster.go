package config

import (
	"fmt"
	"strings"
)

// loadClusterSecrets takes the secrets of a cluster from the files that flags name, else from the environment. A variable that names a
// file with _FILE after its name is that of the flag.
func (c *Config) loadClusterSecrets(lookup func(string) (string, bool)) error {
	k := &c.Server.Cluster
	for _, s := range []struct {
		file, variable string
		to             *string
	}{
		{c.clusterSecretFile, clusterSecret, &k.Secret},
		{c.natsPasswordFile, natsPassword, &k.NATS.Password},
		{c.redisPasswordFile, redisPassword, &k.Redis.Password},
	} {
		if s.file == "" {
			text, _ := lookup(s.variable)
			if text != "" {
				c.origins[s.variable] = Origin{FromEnvironment, s.variable, ""}
			}
			*s.to = text
			continue
		}
		if text, _ := lookup(s.variable); text != "" {
			return fmt.Errorf("%s is in the environment, and there is a file of it, %s: there can be one of them", s.variable, s.file)
		}
		text, err := readBounded(s.file)
		if err != nil {
			return err
		}
		*s.to = strings.TrimRight(string(text), "\r\n")
		if *s.to == "" {
			return fmt.Errorf("%s: there is nothing in it", s.file)
		}
	}
	var err error
	k.Redis.SentinelPassword, err = c.secretOf(sentinelPassword, lookup)
	return err
}
