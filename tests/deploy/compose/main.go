// Checks Compose files with the library that `docker compose` itself loads them with: the published schema, then
// interpolation, merging and the references between services, networks, volumes and secrets.
//
//	compose <file with variables> <compose file>...
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/compose-spec/compose-go/v2/cli"
)

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "compose <file with variables> <compose file>...")
		os.Exit(2)
	}
	failed := false
	for _, file := range os.Args[2:] {
		services, err := load(os.Args[1], file)
		if err != nil {
			failed = true
			fmt.Fprintf(os.Stderr, "%s: %v\n", file, err)
			continue
		}
		fmt.Printf("%s: %d services\n", file, services)
	}
	if failed {
		os.Exit(1)
	}
}

func load(variables, file string) (int, error) {
	options, err := cli.NewProjectOptions([]string{file}, cli.WithEnvFiles(variables), cli.WithDotEnv)
	if err != nil {
		return 0, err
	}
	project, err := options.LoadProject(context.Background())
	if err != nil {
		return 0, err
	}
	return len(project.Services), nil
}
