// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";
import {Pausable} from "@openzeppelin/contracts/utils/Pausable.sol";
import {Account} from "./LoyaltyAccounts.sol";
import {LoyaltyLedger} from "./LoyaltyLedger.sol";
import {LoyaltyPartners} from "./LoyaltyPartners.sol";

/// @title Signed orders: the only ways in which tokens come and go
/// @notice Anybody may submit an order; its EIP-712 signature alone decides. An order takes effect exactly once and
/// as a whole: each signer's orders form a line of consecutive numbers, and a failing item fails the call.
/// @dev Lists are packed, one 32-byte word `address(20) | amount(12)` per item. An empty list is legal: it takes the
/// place of an order that can no longer execute. Sequences, nonces and roles are read and signatures checked, by
/// static call at most, before anything is written.
abstract contract LoyaltyOrders is LoyaltyPartners, EIP712, LoyaltyLedger, Pausable {
    /// @notice Signers with this role may expire tokens whose guaranteed life has passed.
    bytes32 public constant EXPIRER_ROLE = keccak256("EXPIRER_ROLE");

    bytes32 private constant ISSUE_TYPEHASH =
        keccak256("Issue(uint32 partner,uint64 sequence,bytes32 trailRoot,bytes credits)");
    bytes32 private constant REVERSE_TYPEHASH =
        keccak256("Reverse(uint32 partner,uint64 sequence,bytes32 trailRoot,bytes debits)");
    bytes32 private constant EXPIRE_TYPEHASH = keccak256("Expire(uint64 sequence,bytes32 trailRoot,bytes debits)");
    bytes32 private constant REDEEM_TYPEHASH = keccak256(
        "Redeem(address member,uint64 amount,uint32 partner,bytes32 reference,uint40 nonce,uint40 deadline)"
    );

    /// @dev member(20) | amount(8) | partner(4) | reference(32) | nonce(5) | deadline(5) | signatureLength(2)
    uint256 private constant REDEMPTION_HEAD_SIZE = 76;

    uint64 private _expirySequence;

    /// @notice Executes a partner's issuance: one Transfer from zero per credit, then Issued.
    /// @param sequence the partner's last one plus 1, else LoyaltySequence
    /// @param trailRoot Merkle root of the operations behind the credits
    /// @param credits packed list of members and amounts in whole tokens. Reverts with LoyaltyPacked,
    /// ERC20InvalidReceiver(0), LoyaltyAmount, LoyaltyAllowance, LoyaltyPeriodCap or LoyaltySupply.
    /// @param signature of the partner's signer over Issue, else LoyaltySignature. Only active partners issue, else
    /// LoyaltyPartnerInactive.
    function issue(
        uint32 partner,
        uint64 sequence,
        bytes32 trailRoot,
        bytes calldata credits,
        bytes calldata signature
    ) external whenNotPaused {
        Partner storage terms = _partners[partner];
        require(terms.active, LoyaltyPartnerInactive(partner));
        _requireNext(terms.sequence, sequence);
        bytes32 structHash = _batchHash(ISSUE_TYPEHASH, partner, sequence, trailRoot, credits);
        _requireSignature(terms.signer, _hashTypedDataV4(structHash), signature);

        terms.sequence = sequence;
        uint256 total = _credit(credits);
        _countIssued(partner, terms, total);
        emit Issued(partner, sequence, trailRoot, total);
    }

    /// @notice Executes a partner's reversal of what it issued: one Transfer to zero per debit, then Reversed.
    /// Suspended partners may reverse too, so that returns stay possible.
    /// @param sequence as for `issue`; both orders share the partner's line
    /// @param debits packed list of members and amounts in whole tokens. Reverts with LoyaltyPacked,
    /// ERC20InvalidSender(0), LoyaltyAmount, ERC20InsufficientBalance or LoyaltyReversal.
    /// @param signature of the partner's signer over Reverse, else LoyaltySignature
    function reverse(
        uint32 partner,
        uint64 sequence,
        bytes32 trailRoot,
        bytes calldata debits,
        bytes calldata signature
    ) external whenNotPaused {
        Partner storage terms = _partners[partner];
        address signer = terms.signer;
        require(signer != address(0), LoyaltyPartnerUnknown(partner));
        _requireNext(terms.sequence, sequence);
        bytes32 structHash = _batchHash(REVERSE_TYPEHASH, partner, sequence, trailRoot, debits);
        _requireSignature(signer, _hashTypedDataV4(structHash), signature);

        terms.sequence = sequence;
        uint256 total = _debit(debits, false);
        _countReversed(partner, terms, total);
        emit Reversed(partner, sequence, trailRoot, total);
    }

    /// @notice Executes the programme's expiry: one Transfer to zero per debit, then Expired.
    /// @param signer holder of EXPIRER_ROLE, else AccessControlUnauthorizedAccount
    /// @param sequence the last expiry's plus 1, else LoyaltySequence; one line for the whole programme
    /// @param debits packed list as for `reverse`; what was credited in this epoch or the one before is out of reach
    /// and reverts with LoyaltyProtected
    /// @param signature of `signer` over Expire, else LoyaltySignature
    function expire(
        address signer,
        uint64 sequence,
        bytes32 trailRoot,
        bytes calldata debits,
        bytes calldata signature
    ) external whenNotPaused {
        _checkRole(EXPIRER_ROLE, signer);
        _requireNext(_expirySequence, sequence);
        bytes32 structHash = keccak256(abi.encode(EXPIRE_TYPEHASH, sequence, trailRoot, keccak256(debits)));
        _requireSignature(signer, _hashTypedDataV4(structHash), signature);

        _expirySequence = sequence;
        emit Expired(sequence, trailRoot, _debit(debits, true));
    }

    /// @notice Executes members' redemptions, one after the other: for each a Transfer to zero, then Redeemed.
    /// @param orders records back to back, at least one, each `member(20) | amount(8) | partner(4) | reference(32) |
    /// nonce(5) | deadline(5) | signatureLength(2) | signature`. Amounts are whole tokens; the deadline is the last
    /// valid Unix second. The signature is the member's over Redeem: by key, or by ERC-1271 when the key does not
    /// match. Reverts with LoyaltyPacked, LoyaltyDeadline, LoyaltyPartnerInactive, LoyaltyNonce, LoyaltySignature,
    /// LoyaltyAmount or ERC20InsufficientBalance.
    function redeem(bytes calldata orders) external whenNotPaused {
        require(orders.length != 0, LoyaltyPacked(0));
        bytes32 domain = _domainSeparatorV4();
        uint256 total;
        uint256 cursor;
        unchecked {
            // Bounded by the calldata: each record moves the cursor on, and amounts are below 2^64.
            while (cursor != orders.length) {
                uint256 amount;
                (cursor, amount) = _redeem(orders, cursor, domain);
                total += amount;
            }
        }
        _shrink(total);
    }

    /// @notice Sequence of the last executed expiry; the next one carries this plus 1.
    function expirySequence() external view returns (uint64) {
        return _expirySequence;
    }

    function _requireNext(uint64 last, uint64 given) private pure {
        uint256 expected = uint256(last) + 1;
        require(given == expected, LoyaltySequence(expected, given));
    }

    function _batchHash(bytes32 typeHash, uint32 partner, uint64 sequence, bytes32 trailRoot, bytes calldata list)
        private
        pure
        returns (bytes32)
    {
        return keccak256(abi.encode(typeHash, partner, sequence, trailRoot, keccak256(list)));
    }

    /// @dev A key is tried first: that spares looking for code, and it is right for EIP-7702 accounts.
    function _requireSignature(address signer, bytes32 digest, bytes calldata signature) private view {
        (address recovered, ECDSA.RecoverError failure,) = ECDSA.tryRecoverCalldata(digest, signature);
        if (failure == ECDSA.RecoverError.NoError && recovered == signer) return;
        require(
            SignatureChecker.isValidERC1271SignatureNowCalldata(signer, digest, signature), LoyaltySignature(signer)
        );
    }

    /// @dev Executes the record at `cursor`; returns where the next one starts.
    function _redeem(bytes calldata orders, uint256 cursor, bytes32 domain)
        private
        returns (uint256 next, uint256 amount)
    {
        unchecked {
            require(orders.length - cursor >= REDEMPTION_HEAD_SIZE, LoyaltyPacked(orders.length));
            uint256 head = _wordAt(orders, cursor);
            uint256 tail = _wordAt(orders, cursor + 64);
            uint256 start = cursor + REDEMPTION_HEAD_SIZE;
            next = start + uint16(tail >> 160);
            require(next <= orders.length, LoyaltyPacked(orders.length));
            amount = _execute(head, bytes32(_wordAt(orders, cursor + 32)), tail, _slice(orders, start, next), domain);
        }
    }

    /// @param head member(160 bits) | amount(64) | partner(32)
    /// @param tail nonce(40 bits) | deadline(40) | what follows them in the record
    function _execute(uint256 head, bytes32 reference_, uint256 tail, bytes calldata signature, bytes32 domain)
        private
        returns (uint256 amount)
    {
        address member = address(uint160(head >> 96));
        amount = uint64(head >> 32);
        uint32 partner = uint32(head);
        uint40 nonce = uint40(tail >> 216);
        uint256 deadline = uint40(tail >> 176);

        if (block.timestamp > deadline) revert LoyaltyDeadline(deadline);
        if (!_partners[partner].active) revert LoyaltyPartnerInactive(partner);
        if (amount == 0) revert LoyaltyAmount(member, amount);
        Holder storage holder = _holder(member);
        uint256 expected = holder.account.nonce();
        if (nonce != expected) revert LoyaltyNonce(member, expected, nonce);
        // The last nonce is never used up, so that counting on cannot reach the epoch's bits.
        if (nonce == type(uint40).max) revert LoyaltyNonce(member, expected, nonce);
        bytes32 structHash = _redeemHash(member, amount, partner, reference_, nonce, deadline);
        _requireSignature(member, MessageHashUtils.toTypedDataHash(domain, structHash), signature);

        _redeemFrom(member, holder, amount);
        emit Redeemed(member, partner, nonce, reference_);
    }

    /// @dev keccak256(abi.encode(REDEEM_TYPEHASH, ...)), written to free memory that stays free: a batch of a thousand
    /// redemptions would otherwise pay for memory that only grows. Safe because nothing before the free pointer is
    /// touched, and every argument is clean: all come out of shifts and casts.
    function _redeemHash(
        address member,
        uint256 amount,
        uint256 partner,
        bytes32 reference_,
        uint256 nonce,
        uint256 deadline
    ) private pure returns (bytes32 structHash) {
        bytes32 typeHash = REDEEM_TYPEHASH;
        assembly ("memory-safe") {
            let free := mload(0x40)
            mstore(free, typeHash)
            mstore(add(free, 0x20), member)
            mstore(add(free, 0x40), amount)
            mstore(add(free, 0x60), partner)
            mstore(add(free, 0x80), reference_)
            mstore(add(free, 0xa0), nonce)
            mstore(add(free, 0xc0), deadline)
            structHash := keccak256(free, 0xe0)
        }
    }

    /// @dev `list[start:end]`, whose bounds the caller has checked.
    function _slice(bytes calldata list, uint256 start, uint256 end) private pure returns (bytes calldata part) {
        assembly ("memory-safe") {
            part.offset := add(list.offset, start)
            part.length := sub(end, start)
        }
    }
}
