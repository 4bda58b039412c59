// Package channel finds out what a source's channel measures: it leads from
// the native label, device and unit to a canonical name and unit.
//
// Labels are compared as whole names, case and spacing ignored, never by
// substring, and the unit has to agree: "Fuel Pressure" is no AFR, "Spark Map"
// no MAP and "Direction" no coolant temperature (CONFORMANCE V2). What a label
// means may depend on the device that sends it: "Pressure" is barometric on a
// weather station only.
package channel
