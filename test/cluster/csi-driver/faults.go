package main

import (
	"context"
	"log"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
)

// faults is a folder in which a file named after a method makes its calls fail or wait:
// `CODE message` (such as `RESOURCE_EXHAUSTED no space`) or `DELAY 3s`. It is read at every call.
type faults struct{ folder string }

func (f faults) intercept(ctx context.Context, request any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	method := filepath.Base(info.FullMethod)
	start := time.Now()
	answer, err := f.call(ctx, method, request, next)
	if err != nil || !isPolled(method) {
		log.Printf("%s took %v, error %v", method, time.Since(start).Round(time.Millisecond), err)
	}
	return answer, err
}

func (f faults) call(ctx context.Context, method string, request any, next grpc.UnaryHandler) (any, error) {
	if err := f.apply(ctx, method); err != nil {
		return nil, err
	}
	return next(ctx, request)
}

func (f faults) apply(ctx context.Context, method string) error {
	text, err := os.ReadFile(filepath.Join(f.folder, method))
	if err != nil {
		return nil
	}
	word, rest, _ := strings.Cut(strings.TrimSpace(string(text)), " ")
	if word == "DELAY" {
		delay, err := time.ParseDuration(rest)
		if err != nil {
			return internal(err)
		}
		select {
		case <-time.After(delay):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	var code codes.Code
	if err := code.UnmarshalJSON([]byte(strconv.Quote(word))); err != nil {
		return internal(err)
	}
	return fail(code, "injected: %s", rest)
}

// isPolled: side-cars and kubelets ask these all the time.
func isPolled(method string) bool {
	switch method {
	case "Probe", "GetCapacity", "NodeGetVolumeStats":
		return true
	}
	return strings.HasSuffix(method, "Capabilities") || strings.HasSuffix(method, "Info")
}
