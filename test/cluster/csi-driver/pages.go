package main

import (
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const tokenPrefix = "after:"

// pageOf cuts a list that is ordered by id. The token names the last id given, so that it stays good when that one
// is deleted meanwhile.
func pageOf[T any](all []*T, idOf func(*T) string, token string, limit int32) (page []*T, next string, err error) {
	after, ok := strings.CutPrefix(token, tokenPrefix)
	if token != "" && !ok {
		return nil, "", fail(codes.Aborted, "unknown token %s", token)
	}
	for _, record := range all {
		if after != "" && idOf(record) <= after {
			continue
		}
		if limit > 0 && len(page) == int(limit) {
			return page, tokenPrefix + idOf(page[len(page)-1]), nil
		}
		page = append(page, record)
	}
	return page, "", nil
}

func isNotFound(err error) bool { return err != nil && status.Code(err) == codes.NotFound }
