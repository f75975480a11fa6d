package ipam

import (
	"context"
	"fmt"
	"net/netip"

	"go4.org/netipx"
)

// Reserve keeps addresses of a pool from ever being handed out: a gateway, a VRRP address, a
// range. Reserving the same range again changes nothing.
//
// Errors: those of Allocate; *TakenError where somebody holds a part of it.
func (s *Store) Reserve(ctx context.Context, pool Pool, first, last netip.Addr, reason string, by By) error {
	blocks := netipx.IPRangeFrom(first, last)
	if !blocks.IsValid() {
		return &InvalidError{What: "reservation", Reason: fmt.Sprintf("%s to %s is no range", first, last)}
	}
	if reason == "" {
		return &InvalidError{What: "reservation", Reason: "it needs a reason"}
	}
	request := Request{
		Owner: ReservationOwner(first, last), Domain: pool.Domain, Site: pool.Site, Role: pool.Role,
		Plan: pool.Plan, Tenant: pool.Tenant, By: by,
	}
	for _, block := range blocks.Prefixes() {
		request.Wants = append(request.Wants, Want{Name: block.String(), Kind: KindReserved, Chosen: block, Reason: reason})
	}
	_, err := s.Allocate(ctx, request)
	return err
}

// Unreserve makes a reserved range free again.
func (s *Store) Unreserve(ctx context.Context, first, last netip.Addr, by By) error {
	return s.Release(ctx, ReservationOwner(first, last), by)
}

// reservations begins the owners of what Reserve has taken, and no others.
const reservations = "reserved/"

// ReservationOwner is who holds what Reserve has taken.
func ReservationOwner(first, last netip.Addr) string {
	return fmt.Sprintf("%s%s-%s", reservations, first, last)
}
