// vcsim: a simulated vCenter on a loopback port of its own choice. It prints its address, and ends with its standard input.
package main

import (
	"fmt"
	"io"
	"os"

	"github.com/vmware/govmomi/simulator"
)

func main() {
	model := simulator.VPX()
	defer model.Remove()
	if err := model.Create(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	server := model.Service.NewServer()
	defer server.Close()
	fmt.Println(server.URL)
	io.Copy(io.Discard, os.Stdin)
}
