//! banhbaoring-cli
