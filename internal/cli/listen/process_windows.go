package listen

import "os/exec"

// ofItsOwn does nothing: Windows ends the program alone.
func ofItsOwn(*exec.Cmd) {}

func terminate(cmd *exec.Cmd) { _ = cmd.Process.Kill() }
func kill(cmd *exec.Cmd)      { _ = cmd.Process.Kill() }
