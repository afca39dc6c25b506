// Package presence tells the hubs of a cluster who is in the channels of each other: [Peers] is channel.Peers on a node and a bus.
//
// # What is said
//
// A channel has a subject, which a node listens to while the channel lives there, so that who comes and goes is told where it matters
// and nowhere else. What a node says of a channel is numbered, within one life of the channel there; so that who hears it knows
// when something is missing, and pulls: it asks the node for all of its members, and is answered if what it has is not
// what there is. Nodes also pull when a channel comes to life, from all; when another node comes, from that one; and when they have
// been cut off, or stood still, from all, and all from them.
//
// # How soon
//
// Who joins or leaves is told within 20 milliseconds. A hub takes those who leave for gone 200 milliseconds later: a client that moves to
// another node is known there before it is gone here, and nobody is told that it left. What was said last is said again after 2 and after 6 seconds, without
// its content: that is how a loss is noticed when nothing follows it. The members of a node that dies leave when the cluster
// calls it dead, after 5 seconds. So all nodes agree within 10 seconds of the last change, and of the end of any fault, as
// long as the bus carries one message of three.
//
// # What is not believed
//
// What comes from the bus is checked: it has to be of a node that is there, of a version that is known, of the right form and within
// bounds. Anything else is ignored, counted, and logged once a minute. A later version may add members to the JSON objects, which
// are ignored; questions of kinds that a node does not know are as good as not answered.
package presence
