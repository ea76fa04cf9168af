//! banhbaoring-plugin-unseal-azurekv
