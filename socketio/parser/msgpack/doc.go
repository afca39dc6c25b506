// Package msgpack is the codec of socket.io-msgpack-parser 3: a packet is one binary message, the MessagePack map {type,
// nsp, id, data}, with no attachments.
//
// # Values of Go
//
// They become what the default codec would make of them, written as MessagePack: a value is encoded by [encoding/json],
// tags, MarshalJSON and all, and the JSON is translated, with []byte kept out of it; it is bin. Decoding is the way
// back. So the same types serve clients of both codecs, and mean the same. A number without fraction or exponent is sent
// as an integer, if it fits into 64 bits; others are sent as float64.
//
// # What has no JSON
//
// The official codec has undefined (fixext 1 of type 0), Date (fixext 8 of type 0, milliseconds in an int64) and
// ArrayBuffer (ext 8, 16 and 32 of type 0). They are decoded as null, as a string in the format of RFC 3339 that
// [time.Time] understands, and as bytes; the timestamp of MessagePack (type -1) is decoded as such a string, too, and
// any other extension as an array of its type and its bytes, as the official one does. Not-a-number and the infinities
// are decoded as null. The keys of maps become strings. All of this concerns only values that are decoded, or relayed to
// clients of another codec: to those of this one they are copied as they came.
//
// What is sent has none of these but for what is relayed. A [time.Time] is sent as a string.
package msgpack
