// Package config is what baro serve is told: by flags, by the environment, and by a file in YAML.
//
// A plain setting is a flag, and has one name in three spellings: --history-count, BARO_HISTORY_COUNT, and history: {count: …} in
// the file. What a flag cannot say (rules of channels, keys, webhooks: see [File]) is in the file, or as YAML or JSON in a variable:
// BARO_CHANNELS. A flag wins over the environment, which wins over the file, which wins over the default. Secrets are in files, or
// in the environment, or in the configuration file; never on the command line, which others on the machine can read.
//
// Each key is declared once, by a flag ([Config.Flags]) or by a field of [File]. From that come the help, docs/configuration.md and
// docs/baro.schema.json, which go generate writes; and what [Config.Settings] tells of the values that hold.
//
// The file is read strictly. Every mistake in it is told with its line, a key that does not exist with the nearest one that
// does. Keys come once; there are no anchors, aliases, merges and tags. Paths in the file are relative to it.
package config
