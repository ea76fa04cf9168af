// What runs in pods of tests: one static binary without anything around it.
//
//	probe pause                 waits for a signal and reaps what is left to it: the sandbox of every pod
//	probe serve :8080 TEXT      answers every request with TEXT
//	probe resolve NAME          prints the addresses of a name
//	probe get URL               prints what a URL answers
package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "probe:", err)
		os.Exit(1)
	}
}

func run(words []string) error {
	ended, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	switch {
	case len(words) == 1 && words[0] == "pause":
		reap(ended)
		return nil
	case len(words) == 3 && words[0] == "serve":
		return serve(ended, words[1], words[2])
	case len(words) == 2 && words[0] == "resolve":
		return resolve(words[1])
	case len(words) == 2 && words[0] == "get":
		return get(words[1])
	}
	return fmt.Errorf("expected pause, serve ADDRESS TEXT, resolve NAME or get URL, found %q", words)
}

func reap(ended context.Context) {
	children := make(chan os.Signal, 1)
	signal.Notify(children, syscall.SIGCHLD)
	for {
		select {
		case <-children:
			for {
				if pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); pid <= 0 || err != nil {
					break
				}
			}
		case <-ended.Done():
			return
		}
	}
}

func serve(ended context.Context, address, text string) error {
	server := &http.Server{Addr: address, Handler: http.HandlerFunc(func(answer http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(answer, text)
	})}
	go func() {
		<-ended.Done()
		server.Close()
	}()
	if err := server.ListenAndServe(); err != http.ErrServerClosed {
		return err
	}
	return nil
}

func resolve(name string) error {
	limit, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	addresses, err := net.DefaultResolver.LookupHost(limit, name)
	if err != nil {
		return err
	}
	fmt.Println(strings.Join(addresses, "\n"))
	return nil
}

func get(url string) error {
	client := http.Client{Timeout: 10 * time.Second}
	answer, err := client.Get(url)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if _, err := io.Copy(os.Stdout, answer.Body); err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("expected 200 of %s, found %s", url, answer.Status)
	}
	return nil
}
