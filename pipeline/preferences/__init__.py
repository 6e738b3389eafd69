"""From trees and responses to pairs."""
