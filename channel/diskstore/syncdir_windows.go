package diskstore

func syncDir(string) error { return nil } // there is nothing of the kind
