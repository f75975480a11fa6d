package rack

func (c Config) writeRackFile(hostKey string) error { return nil }
