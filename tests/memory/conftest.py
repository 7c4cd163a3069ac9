from tests.postgres import postgres, postgres_with_vectors

__all__ = ["postgres", "postgres_with_vectors"]
