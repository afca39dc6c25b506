package parser

import (
	"strconv"
	"strings"
)

// Check is for who writes a codec: what is wrong with a packet that is to be sent, whatever the codec, as an [*Error].
func (p *Packet) Check() error {
	wrong := func(part Part, reason string) error { return &Error{Part: part, Offset: -1, Reason: reason} }
	d := &p.Data
	switch {
	case p.Type > ConnectError:
		return wrong(PartType, p.Type.String()+" is not known")
	case p.Namespace != "" && p.Namespace[0] != '/':
		return wrong(PartNamespace, "it does not begin with a slash")
	case len(p.Namespace) > MaxNamespace:
		return wrong(PartNamespace, "it is too long")
	case strings.Contains(p.Namespace, ","):
		return wrong(PartNamespace, "it has a comma")
	case p.HasID && p.ID > MaxID:
		return wrong(PartID, "it is greater than JavaScript can count")
	case p.HasID && p.Type != Event && p.Type != Ack:
		return wrong(PartID, "a "+p.Type.String()+" has none")
	case p.Type == Ack && !p.HasID:
		return wrong(PartID, "an acknowledgement needs one")
	case p.Type == Event && !d.named:
		return wrong(PartEventName, "an event needs one")
	case p.Type != Event && d.named:
		return wrong(PartPayload, "only an event has a name")
	case Reserved(d.name):
		return wrong(PartEventName, strconv.Quote(d.name)+" is reserved")
	case p.Type == Disconnect && d.Len() > 0:
		return wrong(PartPayload, "a DISCONNECT has none")
	case p.Type != Event && p.Type != Ack && d.Len() > 1:
		return wrong(PartPayload, "a "+p.Type.String()+" has but one value")
	}
	return nil
}
