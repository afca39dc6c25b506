// Package clients is who is connected to the stand-alone server, what each may do, and how a backend reaches them.
//
// A transport that has let somebody in calls [Registry.Connect] with a [Link], by which the [Client] is reached; does
// through the client what it asks for ([Client.Subscribe], [Client.Publish] and so on); and calls [Client.Gone] when it has
// left. A request that is over at once, as a poll is, asks [Registry.Identify] and [Identity.May] instead.
//
// Whoever a client is comes from its token, from the backend, or from nowhere: then it is anonymous, which has to be
// allowed. What it may do comes from the [Access] rules and from its token.
//
// # Concurrency
//
// Everything may be called from any goroutine, but for what belongs to one client, which its transport calls one after the
// other. The registry's mu guards who is there; a client's mu what it has subscribed to; neither is held while a link,
// the hub or the backend is called, except where a comment says so.
package clients
