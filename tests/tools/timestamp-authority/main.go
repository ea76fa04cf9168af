// The RFC 3161 timestamp authority of Sigstore, with a key and certificates that it makes when it starts.
//
// It is the project's own server without its command line, which also serves metrics on a port that cannot be chosen: a machine could have only
// one of it.
package main

import (
	"flag"
	"log"
	"time"

	"github.com/sigstore/timestamp-authority/v2/pkg/server"
	"github.com/spf13/viper"
)

// Of the policies that Sigstore registered, the one of this server.
const policy = "1.3.6.1.4.1.57264.2"

func main() {
	port := flag.Int("port", 0, "port of 127.0.0.1 to listen on")
	flag.Parse()
	viper.Set("timestamp-signer", "memory")
	viper.Set("timestamp-signer-hash", "sha256")
	viper.Set("default-policy-oid", policy)
	viper.Set("accepted-policy-oids", []string{policy})
	viper.Set("max-request-body-size", 1<<20)
	served := server.NewRestAPIServer("127.0.0.1", *port, []string{"http"}, false, time.Minute, time.Minute)
	log.Fatal(served.Serve())
}
