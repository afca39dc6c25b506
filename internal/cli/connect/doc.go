// Package connect is baro connect where nobody sits at a terminal: lines that come in are sent, messages that come are lines that go out.
package connect
