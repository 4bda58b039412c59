package bench

func Pipeline(rounds int) (Report, error) { return Receive(rounds) }
