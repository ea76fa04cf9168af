// A registry in memory with the Referrers API, which the distribution registry does not have.
//
// go-containerregistry's registry answers a written manifest without the Location header that the distribution
// specification requires; the handler around it adds the header.
package main

import (
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"strings"

	"github.com/google/go-containerregistry/pkg/registry"
)

type withLocation struct {
	http.ResponseWriter
	path string
}

func (w withLocation) WriteHeader(status int) {
	if status == http.StatusCreated && w.Header().Get("Location") == "" {
		w.Header().Set("Location", w.path)
	}
	w.ResponseWriter.WriteHeader(status)
}

func main() {
	addr := flag.String("addr", "127.0.0.1:0", "address to listen on")
	flag.Parse()
	served := registry.New(registry.WithReferrersSupport(true), registry.Logger(log.New(log.Writer(), "", 0)))
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/manifests/") {
			w = withLocation{w, r.URL.Path}
		}
		served.ServeHTTP(w, r)
	})
	listener, err := net.Listen("tcp", *addr)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("listening on", listener.Addr())
	log.Fatal(http.Serve(listener, handler))
}
