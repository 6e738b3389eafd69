"""Characters that are written in several ways."""

# every one is a minus
DASHES = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u2e3a\ufe58\ufe63\uff0d"
CURRENCIES = frozenset("$€£¥₹₩₽¢")
