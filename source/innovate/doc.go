// Package innovate reads Innovate widebands: LC-1, LC-2, DLG-1, LM-1 and LM-2,
// alone or chained, from anything that gives their bytes (PROTOCOLS 2).
//
// The pure parts stand apart from the port: isp (bytes to packets), phase
// (arrival times to the times at which packets were sent), mapper (packets to
// samples), watch (what is wrong). A port is opened by an Opener: package
// serial has the real one, package device a simulated device.
//
// # Channels
//
// Of sensor n of the chain, counted from 1 (a channel exists from the start, and
// has a sample only where the device says something of the kind):
//
//	wideband_n_afr              AFR, valid lambda only
//	wideband_n_lambda           lambda, likewise
//	wideband_n_status           a bare number: 0 lambda valid, 1 measures O2,
//	                            2 free-air calibration in progress, 3 needs
//	                            free-air calibration, 4 warming up, 5 heater
//	                            calibration, 6 error, 7 to 15 reserved
//	wideband_n_o2               %
//	wideband_n_warmup           % of the operating temperature
//	wideband_n_heater_countdown a bare number that counts down to 0
//	wideband_n_error            the error code, a bare number
//	wideband_n_battery          V, of an LM-1
//
// and aux_n in V (0 to 5) for the inputs of SSI-4, TC-4, LM-1 and LM-2, counted
// through the chain.
package innovate
