// Package config is what baro serve is told: by flags, by the environment, and by a file in YAML.
//
// A plain setting is a flag first, and has one name in three spellings: --history-count, BARO_HISTORY_COUNT, and
// history: {count: …} in the file. A flag wins over the environment, which wins over the file, which wins over the default.
// What a flag cannot say (rules of channels, keys, webhooks) is in the file alone: see [File]. Secrets are in files, or in the
// environment, or in the configuration file; never on the command line, which others on the machine can read.
//
// The file is read strictly. Every mistake in it is told with its line, a key that does not exist with the nearest one that
// does. Keys come once; there are no anchors, aliases, merges and tags. Paths in the file are relative to it.
package config
