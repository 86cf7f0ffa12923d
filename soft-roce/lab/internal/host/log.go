package host

import "github.com/sirupsen/logrus"

// Log is where a caller wants to hear of what is done; nil: where logrus itself writes.
func Log(wanted logrus.FieldLogger) logrus.FieldLogger {
	if wanted == nil {
		return logrus.StandardLogger()
	}
	return wanted
}
