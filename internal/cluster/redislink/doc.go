// Package redislink is what Baro's users of Redis have in common: clients that never give a command twice, and subscribers that hear
// what is published and know when they may have missed something. One Redis, one with Sentinels and Redis Cluster look alike.
package redislink
