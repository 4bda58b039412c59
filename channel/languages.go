package channel

// aliasesInLanguages holds the names that loggers give in German, French, Spanish
// and Italian. Accents may be missing, and an umlaut written out.
var aliasesInLanguages = []struct {
	meaning
	names []string
}{
	{meaning{quantity: RPM}, []string{
		"motordrehzahl", "drehzahl motor", "drehzahl", "régime moteur", "régime", "vitesse moteur", "tours moteur",
		"régimen motor", "revoluciones motor", "revoluciones", "giri motore", "regime motore", "giri",
	}},
	{meaning{quantity: DrumRPM}, []string{"rollendrehzahl", "drehzahl rolle", "trommeldrehzahl", "régime rouleau", "giri rullo"}},
	{meaning{quantity: Horsepower}, []string{
		"leistung", "motorleistung", "radleistung", "puissance", "puissance moteur", "puissance roue", "potencia", "potencia motor",
		"potenza", "potenza motore",
	}},
	{meaning{quantity: Torque}, []string{
		"drehmoment", "motordrehmoment", "couple", "couple moteur", "par motor", "coppia", "coppia motore",
	}},
	{meaning{quantity: Speed}, []string{
		"geschwindigkeit", "fahrgeschwindigkeit", "vitesse", "vitesse véhicule", "vitesse roue", "velocidad", "velocidad vehículo", "velocità",
		"velocità veicolo",
	}},
	{meaning{quantity: MAP}, []string{
		"saugrohrdruck", "pression collecteur", "pression admission", "pression d'admission", "presión admisión", "presión de admisión",
		"presión colector", "pressione collettore", "pressione aspirazione",
	}},
	{meaning{quantity: Boost}, []string{"ladedruck relativ", "pression suralimentation", "pression turbo", "presión turbo", "pressione turbo"}},
	{meaning{quantity: TPS}, []string{
		"drosselklappe", "drosselklappenstellung", "position papillon", "papillon", "papillon des gaz", "mariposa", "posición mariposa",
		"farfalla", "posizione farfalla", "apertura farfalla",
	}},
	{meaning{quantity: IAT}, []string{
		"ansauglufttemperatur", "ansaugtemperatur", "temperatur ansaugluft", "température admission", "température air admission",
		"température d'admission", "temp admission", "temp air admission", "temperatura admisión", "temperatura de admisión", "temperatura aire admisión",
		"temperatura aspirazione", "temperatura aria aspirata", "temperatura aria",
	}},
	{meaning{quantity: ECT}, []string{
		"kühlmitteltemperatur", "kühlwassertemperatur", "wassertemperatur", "motortemperatur", "temperatur motor", "température eau",
		"température moteur", "température d'eau", "temp eau", "temp moteur", "température liquide de refroidissement",
		"temperatura refrigerante", "temperatura agua", "temperatura del agua", "temperatura motor", "temperatura del motor", "temperatura del refrigerante", "temperatura acqua", "temperatura motore",
	}},
	{meaning{quantity: OilTemp}, []string{
		"öltemperatur", "motoröltemperatur", "température huile", "température d'huile", "temp huile", "temperatura aceite", "temperatura del aceite", "temperatura olio",
	}},
	{meaning{quantity: OilPressure}, []string{"öldruck", "pression huile", "pression d'huile", "presión aceite", "pressione olio"}},
	{meaning{quantity: FuelPressure}, []string{
		"kraftstoffdruck", "benzindruck", "pression essence", "pression carburant", "presión combustible", "pressione carburante", "pressione benzina",
	}},
	{meaning{quantity: Voltage}, []string{
		"batteriespannung", "bordspannung", "tension batterie", "tensión batería", "voltaje batería", "tensione batteria",
	}},
	{meaning{quantity: Voltage, unitNeeded: true}, []string{"batterie", "batería", "batteria"}},
	{meaning{quantity: SparkAdvance}, []string{
		"zündwinkel", "zündzeitpunkt", "avance allumage", "avance à l'allumage", "avance encendido", "avance de encendido", "anticipo",
		"anticipo accensione",
	}},
	{meaning{quantity: InjectorTime}, []string{
		"einspritzzeit", "einspritzdauer", "temps injection", "temps d'injection", "tiempo inyección", "tiempo de inyección", "tempo iniezione",
		"tempo di iniezione",
	}},
	{meaning{quantity: Barometric}, []string{
		"luftdruck", "umgebungsdruck", "pression atmosphérique", "presión atmosférica", "pressione atmosferica",
	}},
	{meaning{quantity: Humidity}, []string{
		"luftfeuchte", "luftfeuchtigkeit", "relative luftfeuchte", "humidité", "humidité relative", "humedad", "humedad relativa", "umidità",
		"umidità relativa",
	}},
	{meaning{quantity: AmbientTemp}, []string{
		"umgebungstemperatur", "aussentemperatur", "außentemperatur", "lufttemperatur", "température ambiante", "temperatura ambiente",
	}},
}
