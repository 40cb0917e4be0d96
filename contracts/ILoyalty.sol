// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Events and errors of the loyalty token
/// @notice Amounts are whole tokens (the unit of `balanceOf`), times are Unix seconds, periods are seconds.
/// ERC-20 failures use the ERC-6093 errors; the names below cover what ERC-20 does not know.
interface ILoyalty {
    /// @notice A partner's signed issuance took effect; one ERC-20 Transfer from zero per credit precedes it.
    /// @param total sum of the credits; 0 when the order only voids its sequence
    event Issued(uint32 indexed partner, uint64 indexed sequence, bytes32 trailRoot, uint256 total);

    /// @notice A partner's signed reversal took effect; one ERC-20 Transfer to zero per debit precedes it.
    event Reversed(uint32 indexed partner, uint64 indexed sequence, bytes32 trailRoot, uint256 total);

    /// @notice A signed expiry took effect; one ERC-20 Transfer to zero per debit precedes it.
    event Expired(uint64 indexed sequence, bytes32 trailRoot, uint256 total);

    /// @notice A member redeemed; the amount stands in the ERC-20 Transfer to zero just before.
    /// @param partner who honours the reward, so that settlement can be read from the chain
    /// @param reference_ what the member signed for; underscored because Solidity reserves the plain word
    event Redeemed(address indexed member, uint32 partner, uint40 nonce, bytes32 reference_);

    /// @notice The registry changed; carries the partner's full terms after the change.
    event PartnerSet(uint32 indexed partner, address signer, uint64 allowance, uint64 periodCap, bool active);

    /// @notice Programme terms were announced.
    event TermsPublished(uint64 indexed version, bytes32 termsHash, uint64 effectiveAt, string uri);

    /// @notice The contract metadata address changed (ERC-7572).
    event ContractURIUpdated();

    /// @notice The order is not the next of its line. An executed order reports `given < expected` for ever.
    error LoyaltySequence(uint256 expected, uint256 given);

    /// @notice The signature is not `signer`'s over exactly this order on this chain and contract.
    error LoyaltySignature(address signer);

    /// @notice No such partner was ever registered.
    error LoyaltyPartnerUnknown(uint32 partner);

    /// @notice The partner is unknown or suspended.
    error LoyaltyPartnerInactive(uint32 partner);

    /// @notice A partner needs an id above 0 and a signer.
    error LoyaltyPartnerInvalid(uint32 partner, address signer);

    /// @notice The issuance exceeds what the partner's allowance leaves.
    error LoyaltyAllowance(uint32 partner, uint256 left, uint256 asked);

    /// @notice The issuance exceeds what the partner may still issue in this cap period.
    error LoyaltyPeriodCap(uint32 partner, uint256 left, uint256 asked);

    /// @notice The reversal exceeds what the partner issued and has not reversed.
    error LoyaltyReversal(uint32 partner, uint256 left, uint256 asked);

    /// @notice The issuance would take the supply beyond 2^64 - 1.
    error LoyaltySupply(uint256 left, uint256 asked);

    /// @notice The expiry reaches into the guaranteed life of the member's tokens.
    error LoyaltyProtected(address member, uint256 expirable, uint256 asked);

    /// @notice The redemption does not carry the member's next nonce.
    error LoyaltyNonce(address member, uint256 expected, uint256 given);

    /// @notice The redemption's last valid second has passed.
    error LoyaltyDeadline(uint256 deadline);

    /// @notice An amount of 0, or one beyond 2^64 - 1.
    error LoyaltyAmount(address member, uint256 amount);

    /// @notice A packed list of this many bytes does not divide into whole records.
    error LoyaltyPacked(uint256 length);

    /// @notice The terms would take effect before the earliest second that notice and earlier terms allow.
    error LoyaltyNotice(uint256 earliest, uint256 given);

    /// @notice No terms of this version; versions count from 1.
    error LoyaltyTermsUnknown(uint64 version);

    /// @notice This token is not transferable between members.
    error LoyaltyTransfersClosed();

    /// @notice A period is shorter than `least` seconds.
    error LoyaltyPeriod(uint256 least, uint256 given);
}
