// A plugin for tests of OpenBao's catalogue: a secrets engine of one path, and nothing else. It says which version it is, as real ones do: bao refuses one
// that is registered under another.
//
//	bao read MOUNT/greeting     "hello", and the variable GREETING of its environment
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/openbao/openbao/api/v2"
	"github.com/openbao/openbao/sdk/v2/framework"
	"github.com/openbao/openbao/sdk/v2/logical"
	"github.com/openbao/openbao/sdk/v2/plugin"
)

const version = "v1.0.0"

func main() {
	meta := &api.PluginAPIClientMeta{}
	if err := meta.FlagSet().Parse(os.Args[1:]); err != nil {
		end(err)
	}
	served := &plugin.ServeOpts{BackendFactoryFunc: backend, TLSProviderFunc: api.VaultPluginTLSProvider(meta.GetTLSConfig())}
	if err := plugin.ServeMultiplex(served); err != nil {
		end(err)
	}
}

func backend(ctx context.Context, config *logical.BackendConfig) (logical.Backend, error) {
	read := &framework.PathOperation{Callback: greet}
	paths := []*framework.Path{{Pattern: "greeting", Operations: map[logical.Operation]framework.OperationHandler{logical.ReadOperation: read}}}
	made := &framework.Backend{BackendType: logical.TypeLogical, RunningVersion: version, Paths: paths}
	return made, made.Setup(ctx, config)
}

func greet(context.Context, *logical.Request, *framework.FieldData) (*logical.Response, error) {
	return &logical.Response{Data: map[string]interface{}{"greeting": "hello", "variable": os.Getenv("GREETING")}}, nil
}

func end(err error) {
	fmt.Fprintln(os.Stderr, "greeter:", err)
	os.Exit(1)
}
