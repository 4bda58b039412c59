// Package sim is a physical model of a motorcycle on an inertia dyno that
// makes a pull every so often: for the demo, for tests and for benchmarks.
//
// The engine's curve has closed-form peaks (see Engine), so that whoever
// measures the simulated pulls knows what must come out. Everything is a pure
// function of the time since the start and of a seed: any number of simulated
// devices may look at the same cell at any rate and see the same pull.
package sim
