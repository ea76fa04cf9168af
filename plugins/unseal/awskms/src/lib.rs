//! banhbaoring-plugin-unseal-awskms
