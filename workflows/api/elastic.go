package api

import "net/netip"

// The activities on elastic blocks, on QueueIPAM.
const (
	FindElastic Activity[ElasticKey, Elastic]              = "FindElastic"
	MoveElastic Activity[MoveInput, None]                  = "MoveElastic"
	ListElastic Activity[ListElasticInput, []netip.Prefix] = "ListElastic"
)

// ListCarriers names the instances whose ports carry some blocks. It is on QueueLifecycle.
const ListCarriers Activity[ListCarriersInput, []string] = "ListCarriers"

// AwaitsBlocks refuses an instance that has ended, or is about to: it never carries a block again. It is on
// QueueLifecycle.
const AwaitsBlocks Activity[AwaitsBlocksInput, None] = "AwaitsBlocks"

// RouteInstance sends UpdateRoute to an instance. It is on QueueLifecycle.
const RouteInstance Activity[RouteInput, None] = "RouteInstance"

// ElasticKey names an elastic block: an IPv4 and an IPv6 one of the same name are one.
type ElasticKey struct {
	Domain string `json:"domain,omitempty"` // routing domain; empty: the default one
	Owner  string `json:"owner"`
	Name   string `json:"name"`
}

// Elastic is where an elastic block is.
type Elastic struct {
	Prefixes []netip.Prefix `json:"prefixes"`
	Instance string         `json:"instance,omitempty"` // workflow ID; empty: at none
}

// MoveInput takes an elastic block to an instance, or, where that is empty, away from any.
type MoveInput struct {
	ElasticKey
	Instance string `json:"instance,omitempty"` // workflow ID
	By       string `json:"by,omitempty"`       // who asked
}

// ListElasticInput asks for the elastic blocks at an instance.
type ListElasticInput struct {
	Instance string `json:"instance"` // workflow ID
}

// ListCarriersInput asks who carries elastic blocks.
type ListCarriersInput struct {
	Blocks []netip.Prefix `json:"blocks"`
}

// AwaitsBlocksInput names an instance that an elastic block is to go to.
type AwaitsBlocksInput struct {
	Instance string `json:"instance"` // workflow ID
}

// RouteInput asks an instance to carry its elastic blocks. Request tells one asking from
// another.
type RouteInput struct {
	Instance string `json:"instance"` // workflow ID
	Request  string `json:"request"`
}
