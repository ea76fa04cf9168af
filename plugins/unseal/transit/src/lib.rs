//! banhbaoring-plugin-unseal-transit
