//! banhbaoring-artifact
